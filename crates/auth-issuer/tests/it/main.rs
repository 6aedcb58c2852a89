//! What the issuer promises, over real connections of the loopback interface.
