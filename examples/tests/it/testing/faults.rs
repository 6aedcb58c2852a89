use std::error::Error;
use std::time::Duration;

use auth_issuer::{Event, Fault, Issuer, Place, When};

#[tokio::test]
async fn a_bad_day() -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::start().await?;
    issuer.fail_next(3, Fault::status(503).retry_after(Duration::from_secs(30)));
    // The token is made and counted, and its answer never arrives.
    issuer.fail_next(1, Fault::lose_answer());
    // By chance, and the same every time.
    issuer.fault(Place::Token, When::probability(0.1, 42), Fault::hang_after_headers());
    issuer.fault(Place::Api, When::during(Duration::from_secs(60)), Fault::status(500));
    // The real answer, a byte every second.
    issuer.fault(Place::Api, When::next(1), Fault::slow(Duration::from_secs(1)));
    // One token in ten is refused a minute after it was issued, whatever its `exp` says.
    let short = Fault::early_revocation(Duration::from_secs(60));
    issuer.fault(Place::Token, When::probability(0.1, 7), short);
    // Tokens that are expired when they arrive, and one under a key that nobody has seen yet.
    issuer.fail_next(2, Fault::clock_behind(Duration::from_secs(2 * 86_400)));
    issuer.fail_next(1, Fault::key_rotation());
    // Nobody gets through, be it to tokens, keys, metadata or the API. The page and the admin API go on.
    issuer.fault(Place::Everywhere, When::during(Duration::from_secs(240)), Fault::down());
    issuer.heal();
    // Every token issued so far is refused from now on.
    issuer.revoke_all();
    // New tokens are signed with a new key; those of the old one are good until they expire.
    issuer.rotate_keys().await?;
    issuer.happen(Event::ClockAhead(Duration::from_secs(3 * 3600)));
    // The API answers this to everything, whatever the token.
    issuer.api_status(Some(401));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(format!("{}/v2/shipments", issuer.url())).send().await?;
    assert_eq!(answer.status(), 401);
    Ok(())
}
