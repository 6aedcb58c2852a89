//! Settings that cannot be, found when the layer is built.

use auth_tower::server::{DpopVerifier, ProofAlgorithm};

use super::support::OwnKey;
use super::world::fixed;

#[tokio::test]
async fn a_layer_is_not_built_with_settings_that_cannot_be() {
    let key = OwnKey::new();
    let dpop = DpopVerifier::new;
    for (layer, field) in [
        (fixed(&key).dpop(dpop().algorithms([])), "dpop.algorithms"),
        (fixed(&key).dpop(dpop().capacity(0)), "dpop.capacity"),
        (fixed(&key).dpop(dpop().capacity(usize::MAX)), "dpop.capacity"),
        (fixed(&key).dpop(dpop().window(std::time::Duration::ZERO)), "dpop.window"),
        (fixed(&key).remembered(usize::MAX), "remembered"),
        (fixed(&key).remembered((1 << 20) + 1), "remembered"),
        (fixed(&key).realm("a\nb"), "realm"),
    ] {
        let error = layer.build().unwrap_err();
        assert_eq!(error.field(), field, "{error}");
        assert!(error.to_string().starts_with(&format!("{field}: ")), "{error}");
    }
    fixed(&key).dpop(dpop().algorithms(ProofAlgorithm::ALL).capacity(1)).build().unwrap();
    fixed(&key).remembered(0).build().unwrap();
}
