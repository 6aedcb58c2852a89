//! This build has two providers of `jsonwebtoken`, as a binary may have that does not know it.

use auth_core::{Algorithm, Signer, SigningKey};

use crate::server::Server;

#[test]
fn jsonwebtoken_itself_cannot_sign_in_this_build_and_the_signer_can() {
    let signs = || {
        let key = jsonwebtoken::EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
        let header = jsonwebtoken::Header::default();
        jsonwebtoken::encode(&header, &serde_json::json!({"sub": "a"}), &key)
    };
    assert!(std::panic::catch_unwind(signs).is_err(), "then this build shows nothing");

    let server = Server::start();
    for (algorithm, client) in [
        (Algorithm::Es256, "key_jwt_es256"),
        (Algorithm::Rs256, "key_jwt_rs256"),
        (Algorithm::Ps256, "key_jwt_ps256"),
        (Algorithm::EdDsa, "key_jwt_eddsa"),
    ] {
        let key =
            SigningKey::from_pem(algorithm, server.client(client, "private_key_pem")).unwrap();
        key.sign(b"a message").unwrap();
    }
}
