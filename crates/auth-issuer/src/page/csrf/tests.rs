use super::*;

fn access(bound: &str) -> AdminAccess {
    AdminAccess::new(bound.parse().unwrap()).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

fn admitted(access: &AdminAccess, peer: &str, host: &str) -> Result<String, Refused> {
    let uri = Uri::from_static("/settings/api");
    let host = access.admit(Some(peer.parse().unwrap()), &uri, &headers(&[("host", host)]))?;
    Ok(host.to_string())
}

#[test]
fn only_hosts_that_no_foreign_site_can_have_are_served() {
    let access = access("127.0.0.1:8400");
    let near = "127.0.0.1:50000";
    for host in ["127.0.0.1:8400", "localhost:8400", "LocalHost", "[::1]:8400", "127.9.9.9"] {
        assert_eq!(admitted(&access, near, host).as_deref(), Ok(host));
    }
    for host in [
        "evil.example:8400",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "192.168.1.7:8400",
        "user@127.0.0.1:8400",
        "127.0.0.1:8400@evil.example",
        "[::1].evil.example",
        "[::1].evil.example:8400",
        "127.0.0.1:84000",
        "0.0.0.0",
        "",
    ] {
        assert_eq!(admitted(&access, near, host), Err(Refused::Host), "{host}");
    }
    let uri = Uri::from_static("/settings/api");
    let peer = Some(near.parse().unwrap());
    assert_eq!(access.admit(peer, &uri, &HeaderMap::new()).err(), Some(Refused::Host));
    let twice = headers(&[("host", "127.0.0.1:8400"), ("host", "evil.example")]);
    assert_eq!(access.admit(peer, &uri, &twice).err(), Some(Refused::Host));
}

#[test]
fn a_target_with_a_host_counts_and_must_agree_with_the_header() {
    let access = access("127.0.0.1:8400");
    let peer = Some("127.0.0.1:1".parse().unwrap());
    let own = Uri::from_static("http://127.0.0.1:8400/settings/api");
    let foreign = Uri::from_static("http://evil.example/settings/api");
    let header = headers(&[("host", "127.0.0.1:8400")]);
    assert!(access.admit(peer, &own, &HeaderMap::new()).is_ok());
    assert!(access.admit(peer, &own, &header).is_ok());
    let evil = headers(&[("host", "evil.example")]);
    for (uri, headers) in [(&foreign, &header), (&own, &evil), (&foreign, &evil)] {
        assert_eq!(access.admit(peer, uri, headers).err(), Some(Refused::Host));
    }
}

#[test]
fn other_machines_are_never_let_in() {
    let near = access("127.0.0.1:8400");
    for access in [&near, &access("0.0.0.0:8400"), &access("[::]:8400")] {
        for peer in ["192.168.1.9:4", "[2001:db8::1]:4", "[::ffff:192.168.1.9]:4"] {
            assert_eq!(admitted(access, peer, "127.0.0.1:8400"), Err(Refused::Peer));
        }
        assert!(admitted(access, "[::ffff:127.0.0.1]:4", "127.0.0.1").is_ok());
        assert_eq!(admitted(access, "127.0.0.1:4", "192.168.1.7"), Err(Refused::Host));
    }
    // There is no loopback address to come from, or to name.
    let bound = access("192.168.1.7:8400");
    assert!(admitted(&bound, "192.168.1.7:4", "192.168.1.7:8400").is_ok());
    assert_eq!(admitted(&bound, "192.168.1.9:4", "192.168.1.7:8400"), Err(Refused::Peer));
    assert_eq!(admitted(&bound, "192.168.1.7:4", "192.168.1.8"), Err(Refused::Host));
    let uri = Uri::from_static("/settings/api");
    let host = headers(&[("host", "127.0.0.1:8400")]);
    assert_eq!(near.admit(None, &uri, &host).err(), Some(Refused::Peer));
}

#[test]
fn the_entrance_is_an_address_that_a_browser_can_go_to() {
    for (bound, host) in [
        ("127.0.0.1:8400", "127.0.0.1:8400"),
        ("0.0.0.0:8400", "127.0.0.1:8400"),
        ("[::]:8400", "[::1]:8400"),
        ("192.168.1.7:8400", "192.168.1.7:8400"),
    ] {
        let entrance = access(bound).entrance();
        assert!(entrance.starts_with(&format!("http://{host}/settings/")), "{entrance}");
    }
}

#[test]
fn a_change_comes_from_the_page_or_not_at_all() {
    let host = Authority::from_static("127.0.0.1:8400");
    let own = ("origin", "http://127.0.0.1:8400");
    let same = ("sec-fetch-site", "same-origin");
    for good in [&[own][..], &[same], &[own, same]] {
        assert_eq!(AdminAccess::check_origin(&host, &headers(good)), Ok(()));
    }
    for bad in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "null"), same],
        &[("origin", "https://127.0.0.1:8400")],
        &[("origin", "http://127.0.0.1:84000")],
        &[("origin", "http://127.0.0.1")],
        &[("origin", "http://evil.example"), same],
        &[own, ("origin", "http://evil.example")],
        &[own, ("sec-fetch-site", "same-site")],
        &[own, ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(
            AdminAccess::check_origin(&host, &headers(bad)),
            Err(Refused::CrossSite),
            "{bad:?}"
        );
    }
}

// torture: E46
#[test]
fn each_secret_opens_its_own_door_and_no_other() {
    let access = access("127.0.0.1:8400");
    let cookie = access.session_cookie();
    let cookie = cookie.split(';').next().unwrap();
    let session = |cookie: &str| access.check_session(&headers(&[("cookie", cookie)]));
    assert_eq!(session(cookie), Ok(()));
    assert_eq!(session(&format!("a=b; issuer_admin_8400=x; {cookie}")), Ok(()));
    let name = cookie.split('=').next().unwrap();
    for wrong in
        ["", "a=b", name, &format!("{name}="), &cookie[..cookie.len() - 1], &format!("x{cookie}")]
    {
        assert_eq!(session(wrong), Err(Refused::NoSession), "{wrong}");
    }
    assert_eq!(session(&format!("{name}={}", access.token())), Err(Refused::NoSession));
    assert_eq!(session(&format!("{name}={}", access.csrf())), Err(Refused::NoSession));
    assert!(access.is_token(access.token()));
    assert!(!access.is_token(access.csrf()) && !access.is_token(""));
    let entrance = access.entrance();
    let (_, entrance) = entrance.split_once("token=").unwrap();
    assert!(access.is_entrance(entrance) && !access.is_token(entrance));
    assert!(!access.is_entrance(access.token()) && !access.is_entrance(""));
    assert_eq!(session(&format!("{name}={entrance}")), Err(Refused::NoSession));
    assert_eq!(access.check_form(Some(access.csrf())), Ok(()));
    for wrong in [None, Some(""), Some(access.token()), Some(&access.csrf()[1..])] {
        assert_eq!(access.check_form(wrong), Err(Refused::FormToken));
    }
    let other = self::access("127.0.0.1:8400");
    assert_ne!(access.entrance(), other.entrance());
    assert_ne!(access.token(), other.token());
    assert_ne!(access.session_cookie(), other.session_cookie());
    assert_ne!(access.csrf(), other.csrf());
}

/// A foreign page can ask for `http://0.0.0.0`, which is this machine on some systems.
#[test]
fn the_unspecified_address_is_no_name_of_a_listener_on_all_addresses() {
    for (bound, host) in [("0.0.0.0:8400", "0.0.0.0:8400"), ("[::]:8400", "[::]:8400")] {
        assert_eq!(admitted(&access(bound), "127.0.0.1:4", host), Err(Refused::Host), "{host}");
    }
}
