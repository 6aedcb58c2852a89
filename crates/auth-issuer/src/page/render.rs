//! The settings page as HTML. The templates escape whatever is put into them, so that no name can be markup.

use maud::{Markup, html};
use secrecy::ExposeSecret as _;

use super::list;
use super::parts::{PAGE, copy, document};
use super::refused::Refused;
use super::view::{ConfirmView, Confirmed, Draft, SettingsView, ShownOnce};

/// The page "Settings → API".
pub(crate) fn settings(view: &SettingsView) -> String {
    let body = html! {
        h1 { "API" }
        p.lead { "How programs get into your account: credentials for just what they need, or the legacy key." }
        @if let Some(notice) = &view.notice { p.notice role="status" { (notice) } }
        @if let Some(created) = &view.created { (shown_once(created)) }
        @if let Some(key) = &view.new_key { (shown_key(key.expose_secret())) }
        (legacy_key(view))
        section aria-labelledby="credentials" {
            div.heading {
                h2 #credentials { "API credentials" }
                p { "A client ID and a client secret, which get tokens that live for a while. Each opens only the \
                     resources that it was given." }
            }
            (create(view))
            (list::credentials(view))
        }
        (endpoints(view))
    };
    document("API", &body)
}

/// The question before something that cannot be undone.
pub(crate) fn confirm(view: &ConfirmView) -> String {
    let (title, consequence, action, verb) = match view.action {
        Confirmed::Rotate => (
            "Rotate the secret?",
            "The present secret stops working at once. Tokens that were issued with it go on until they expire.",
            "rotate",
            "Rotate secret",
        ),
        Confirmed::Delete => (
            "Delete the credential?",
            "It gets no more tokens, and those that it has open nothing from now on. This cannot be undone.",
            "delete",
            "Delete",
        ),
    };
    let body = html! {
        section.card.question {
            h1 { (title) }
            p { strong { bdi { (view.name) } } }
            p { code { (view.client_id) } }
            p { (consequence) }
            form method="post" action={ (PAGE) "/credentials/" (action) } {
                input type="hidden" name="csrf" value=(view.csrf);
                input type="hidden" name="client_id" value=(view.client_id);
                div.buttons {
                    button.danger type="submit" { (verb) }
                    a.button href=(PAGE) { "Cancel" }
                }
            }
        }
    };
    document(title, &body)
}

/// What is shown instead of the page to a request that is not answered.
pub(crate) fn refused(refused: Refused) -> String {
    let title = match refused {
        Refused::NoSession => "Sign in",
        Refused::Peer | Refused::Host | Refused::CrossSite | Refused::FormToken => "Refused",
    };
    let body = html! {
        section.card.question {
            h1 { (title) }
            p { (refused.advice()) }
            // A browser keeps the cookie to itself when a foreign page led here; from this page it sends it.
            @if refused != Refused::Peer && refused != Refused::Host {
                p { a.button href=(PAGE) { "Open the settings" } }
            }
        }
    };
    document(title, &body)
}

/// What is shown when the credential of a link is not there any more.
pub(crate) fn problem(title: &str, text: &str) -> String {
    let body = html! {
        section.card.question {
            h1 { (title) }
            p role="alert" { (text) }
            p { a.button href=(PAGE) { "Back to the settings" } }
        }
    };
    document(title, &body)
}

fn shown_once(created: &ShownOnce) -> Markup {
    html! {
        section.card.once aria-labelledby="once" {
            h2 #once { "Your client ID and client secret" }
            p { strong { "The secret is not shown again." } " Copy it now to where your program reads it." }
            dl {
                dt { "Client ID" }
                dd { code #created-id { (created.client_id) } (copy("created-id", "client ID")) }
                dt { "Client secret" }
                dd {
                    code #created-secret { (created.client_secret.expose_secret()) }
                    (copy("created-secret", "client secret"))
                }
            }
        }
    }
}

fn shown_key(key: &str) -> Markup {
    html! {
        section.card.once aria-labelledby="once-key" {
            h2 #once-key { "Your API key" }
            p { strong { "The key is not shown again." } " It opens every endpoint: keep it as you keep a password." }
            dl {
                dt { "API key" }
                dd { code #created-key { (key) } (copy("created-key", "API key")) }
            }
        }
    }
}

fn legacy_key(view: &SettingsView) -> Markup {
    html! {
        section.card.banner aria-labelledby="key" {
            div {
                h2 #key { "Legacy API key" }
                p { "One key opens every endpoint, none can be switched off for it, and it never expires. Credentials \
                     are the better way." }
                @if view.has_key {
                    p.quiet {
                        "There is a key"
                        @if let Some(created) = &view.key_created { ", made " (created) }
                        "."
                    }
                }
            }
            @if view.has_key {
                form method="post" action={ (PAGE) "/key/revert" } {
                    input type="hidden" name="csrf" value=(view.csrf);
                    label.check for="sure" {
                        input #sure type="checkbox" name="sure" value="yes" required;
                        span { "I know that the present key stops working" }
                    }
                    button.danger type="submit" { "Revert" }
                }
            } @else {
                form method="post" action={ (PAGE) "/key" } {
                    input type="hidden" name="csrf" value=(view.csrf);
                    button type="submit" { "Generate" }
                }
            }
        }
    }
}

fn create(view: &SettingsView) -> Markup {
    let Draft { name, resources: ticked, problem } = &view.draft;
    html! {
        details.create open[problem.is_some()] {
            summary { "Create API credentials" }
            form.card method="post" action={ (PAGE) "/credentials" } {
                input type="hidden" name="csrf" value=(view.csrf);
                @if let Some(problem) = problem { p.problem #problem role="alert" { (problem) } }
                div.field {
                    label for="name" { "Name" }
                    input #name type="text" name="name" value=(name) required maxlength="100" autocomplete="off"
                        aria-describedby=[problem.as_ref().map(|_| "problem")]
                        aria-invalid=[problem.as_ref().map(|_| "true")];
                }
                fieldset {
                    legend { "Resources" }
                    p.quiet { "What is not ticked stays closed to these credentials." }
                    div.ticks {
                        @for (resource, title) in &view.resources {
                            label.check for={ "resource-" (resource) } {
                                input id={ "resource-" (resource) } type="checkbox" name="resource" value=(resource)
                                    checked[ticked.iter().any(|ticked| ticked == resource)];
                                span { (title) }
                            }
                        }
                    }
                }
                button.primary type="submit" { "Create" }
            }
        }
    }
}

fn endpoints(view: &SettingsView) -> Markup {
    html! {
        section.card aria-labelledby="endpoints" {
            h2 #endpoints { "For your program" }
            dl {
                dt { "Token endpoint" }
                dd { code #token-endpoint { (view.token_endpoint) } (copy("token-endpoint", "token endpoint")) }
                dt { "Audience" }
                dd { code #audience { (view.audience) } (copy("audience", "audience")) }
            }
        }
    }
}
