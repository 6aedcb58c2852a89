//! HTTP/2 has ways to say that a request may be sent again: it is not, since nobody can know what it cost.

use std::sync::atomic::Ordering::SeqCst;

use auth_reqwest::ReqwestTransport;

use crate::harness::{lost, spent};
use crate::peers::http2::{ENDS, server};

// torture: G59
#[tokio::test]
async fn one_request_is_on_the_wire_for_each_unit() {
    for end in ENDS {
        let (address, read) = server(end).await;
        let transport = ReqwestTransport::builder()
            .configure(|client| client.http2_prior_knowledge())
            .build()
            .unwrap();
        let authenticator =
            lost(&format!("http://{address}/t")).transport(transport).build().unwrap();
        let error = authenticator.authorization().await.unwrap_err();
        assert!(error.is_transient() && !error.is_not_sent(), "{end:?}: {error:?}");
        assert_eq!(read.load(SeqCst), 1, "{end:?}");
        assert_eq!(spent(&authenticator).await, 1, "{end:?}");
    }
}
