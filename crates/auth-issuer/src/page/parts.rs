//! What all pages are made of.

use maud::{DOCTYPE, Markup, html};

/// Where the page is; its forms post below it.
pub(crate) const PAGE: &str = "/settings/api";

/// A copy button for the element `source`. It stays hidden unless the script runs.
pub(super) fn copy(source: &str, what: &str) -> Markup {
    html! {
        button.copy type="button" hidden data-copies=(source) aria-label={ "Copy " (what) } { "Copy" }
    }
}

/// A whole document around `body`.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Settings · Your Business" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href={ (PAGE) "/page.css" };
                script src={ (PAGE) "/page.js" } defer {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    nav aria-label="Breadcrumb" {
                        ol {
                            li { "Your Business" }
                            li { "Settings" }
                            li { a href=(PAGE) aria-current="page" { "API" } }
                        }
                    }
                }
                main #main tabindex="-1" { (body) }
                p #said.unseen role="status" {}
            }
        }
    };
    markup.into_string()
}
