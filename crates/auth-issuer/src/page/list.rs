//! The list of credentials as HTML: a table, which narrow screens see as cards.
//!
//! The roles are said again because browsers forget a table's meaning when a style sheet lays it out otherwise.

use maud::{Markup, html};

use super::parts::{PAGE, copy};
use super::view::{CredentialView, Dot, QuotaView, RequestView, SettingsView, Status};

/// All credentials, or that there are none.
pub(super) fn credentials(view: &SettingsView) -> Markup {
    html! {
        @if view.credentials.is_empty() {
            p.card.empty { "There are no credentials yet." }
        } @else {
            table.credentials role="table" aria-labelledby="credentials" {
                thead role="rowgroup" {
                    tr role="row" {
                        @for heading in ["Credential", "Resources", "Created", "Status", "Token requests"] {
                            th role="columnheader" scope="col" { (heading) }
                        }
                    }
                }
                @for (index, credential) in view.credentials.iter().enumerate() {
                    (row(index, credential, &view.csrf))
                }
            }
        }
    }
}

fn row(index: usize, credential: &CredentialView, csrf: &str) -> Markup {
    let id = format!("client-id-{index}");
    let (status, class) = match credential.status {
        Status::Active => ("Active", "status active"),
        Status::Disabled => ("Disabled", "status disabled"),
    };
    html! {
        tbody role="rowgroup" {
            tr.facts role="row" {
                th.who role="rowheader" scope="row" {
                    // A client that the builder was given has no other name.
                    @if credential.name != credential.id { bdi.name { (credential.name) } }
                    span.id { code id=(id) { (credential.id) } (copy(&id, "client ID")) }
                }
                td role="cell" data-heading="Resources" { (credential.resources.join(", ")) }
                td.created role="cell" data-heading="Created" { (credential.created) }
                td role="cell" data-heading="Status" { span class=(class) { (status) } }
                td.quota role="cell" data-heading="Token requests" { (quota(&credential.quota)) }
            }
            tr.more role="row" {
                td role="cell" colspan="5" {
                    div.tools {
                        (requests(&credential.requests))
                        (actions(credential, csrf))
                    }
                }
            }
        }
    }
}

fn actions(credential: &CredentialView, csrf: &str) -> Markup {
    let (action, verb) = match credential.status {
        Status::Active => ("disable", "Disable"),
        Status::Disabled => ("enable", "Enable"),
    };
    // "Delete, Nightly export": a list of buttons that all say the same is of no use to who cannot see their rows.
    let of = |verb: &str| format!("{verb}, {}", credential.name);
    html! {
        div.buttons {
            (ask("rotate", "Rotate secret", &of("Rotate secret"), &credential.id))
            form method="post" action={ (PAGE) "/credentials/" (action) } {
                input type="hidden" name="csrf" value=(csrf);
                input type="hidden" name="client_id" value=(credential.id);
                button type="submit" aria-label=(of(verb)) { (verb) }
            }
            (ask("delete", "Delete", &of("Delete"), &credential.id))
        }
    }
}

/// A button that leads to a question. It changes nothing, so it needs no CSRF value, which would stand in the address.
fn ask(action: &str, verb: &str, label: &str, id: &str) -> Markup {
    html! {
        form method="get" action={ (PAGE) "/credentials/" (action) } {
            input type="hidden" name="client_id" value=(id);
            button type="submit" class=[(action == "delete").then_some("danger")] aria-label=(label) { (verb) }
        }
    }
}

fn quota(quota: &QuotaView) -> Markup {
    let Some(limit) = quota.limit else {
        return html! { span { "Unlimited" } };
    };
    let summary = format!("{} of {limit} spent", quota.spent);
    html! {
        @if let Some(dots) = quota.dots() {
            ol.dots aria-label=(summary) {
                @for dot in dots { li { (mark(dot)) } }
            }
        } @else if limit > 0 {
            meter min="0" max=(limit) value=(quota.spent.min(limit)) aria-label="Spent token requests" { (summary) }
        }
        span.summary { (summary) }
        @if let Some(next) = &quota.next_opens { span.next { "Next opens at " (next) } }
    }
}

fn mark(dot: Dot<'_>) -> Markup {
    let (class, label) = match dot {
        Dot::Spent(Some(spend)) => ("dot spent", spend.label()),
        Dot::Spent(None) => ("dot spent", "spent".to_owned()),
        Dot::Left => ("dot", "left".to_owned()),
    };
    html! { span class=(class) role="img" aria-label=(label) title=(label) {} }
}

fn requests(requests: &[RequestView]) -> Markup {
    html! {
        @if requests.is_empty() {
            p.quiet.none { "No token requests yet" }
        } @else {
            details.requests {
                summary { "Last token requests (" (requests.len()) ")" }
                table {
                    thead {
                        tr {
                            @for heading in ["Time (UTC)", "Cause", "Outcome", "Unit"] { th scope="col" { (heading) } }
                        }
                    }
                    tbody {
                        @for request in requests {
                            tr {
                                td { (request.at) }
                                td { (request.cause.as_deref().unwrap_or("not known")) }
                                td { (request.outcome) }
                                td { (if request.spent { "spent" } else { "free" }) }
                            }
                        }
                    }
                }
            }
        }
    }
}
