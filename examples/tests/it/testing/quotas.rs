use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

use auth_issuer::{Issuer, ManualClock, Quota, Refusal, Window};

#[tokio::test]
async fn the_fourth_token_of_an_hour_is_refused() -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_day(10)
        .and(Window::utc_hour(3))
        // Counted late, as by a service that is spread out: a burst gets through.
        .lag(Duration::from_secs(2))
        // What is refused for another reason costs nothing.
        .count_failures(false)
        .refusal(Refusal::Auth0Headers);
    // On the hour, so that the four fall into one.
    let clock = ManualClock::at(UNIX_EPOCH + Duration::from_secs(500_000 * 3600));
    let issuer = Issuer::builder().quotas(quota).clock(clock.clone()).start().await?;

    let client = reqwest::Client::builder().no_proxy().build()?;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&audience={}",
        issuer.client_id(),
        issuer.client_secret(),
        issuer.audience(),
    );
    for status in [200, 200, 200, 429] {
        let request = client.post(issuer.token_endpoint()).body(form.clone());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(request.send().await?.status(), status);
        clock.advance(Duration::from_secs(2));
    }
    Ok(())
}
