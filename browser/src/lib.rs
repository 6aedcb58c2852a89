//! A headless Chromium that a test or a program drives, over WebDriver (<https://www.w3.org/TR/webdriver2/>).
//!
//! The protocol is JSON over HTTP, and the few commands that are needed here are fewer lines than a client of it.
#![forbid(unsafe_code)]

mod browser;
mod driver;
mod page;

pub use self::browser::{Browser, Key};
