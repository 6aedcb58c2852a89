//! A wait that ends when a test says so.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds token requests back until it is opened: a test of what happens *meanwhile* needs no timing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), auth_issuer::StartError> {
/// use auth_issuer::{Fault, Gate, Issuer};
///
/// let issuer = Issuer::start().await?;
/// let gate = Gate::new();
/// issuer.fail_next(1, Fault::until(&gate));
/// // ... start a token request, `issuer.until_token_requests(1).await`, look at what the client does, and then:
/// gate.open();
/// # Ok(())
/// # }
/// ```
///
/// Clones are the same gate. Once open it stays open.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through all who wait, and all who come.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn opened(&self) {
        // It fails only without a sender, and `self` is one.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
