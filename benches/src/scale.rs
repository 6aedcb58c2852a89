//! Many origins, and many authenticators.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use auth_core::{Authenticator, MemoryStore, Store, Target};
use http::{HeaderMap, Uri};

use crate::child::{ask, number, resident};
use crate::clock::{Stopwatch, now};
use crate::credential::{self, Issuer, TOKEN_LENGTH, builder_of};
use crate::section::{Scale, Section, Table};
use crate::stats::median;
use crate::store::Seen;
use crate::work::insert;

pub(crate) const NAME: &str = "scale";

const METHOD: &str = "There is no router over several credentials: what there is to scale are the origins that one authenticator \
is bound to, and the authenticators of one process, found in a `HashMap`. Bytes are those by which a process of its own grew, over \
one store in memory; with a token they include the record in that store, which is the store's own. A lookup is the \
`HashMap`'s, `try_authorization()` and the insertion into a `HeaderMap`, of another authenticator every time.";

/// Origins of one authenticator, and authenticators of one process.
pub fn scale(scale: Scale) -> Section {
    let mut section = Section::new("scale: origins and authenticators", METHOD);
    section.tables.push(origins(scale));
    let counts: &[usize] = scale.pick(&[1, 10], &[1, 1_000, 10_000, 100_000]);
    let mut table = Table::new([
        "authenticators",
        "bytes each, no token",
        "more with a token",
        "of them the token",
        "and the store's record",
        "and besides",
        "ns per lookup",
    ]);
    for count in counts {
        let figures = ask(NAME, &[&count.to_string()]);
        let [without, with, record, lookup] = figures[..] else {
            section.notes.push(format!("{count} authenticators: not measured"));
            continue;
        };
        // A page is more than a few of them.
        let bytes = |bytes: f64| if *count < 1_000 { "–".into() } else { format!("{bytes:.0}") };
        table.row([
            count.to_string(),
            bytes(without),
            bytes(with),
            TOKEN_LENGTH.to_string(),
            format!("{record:.0}"),
            bytes(with - record - TOKEN_LENGTH as f64),
            format!("{lookup:.0}"),
        ]);
        if *count == 100_000 {
            let besides = with - record - TOKEN_LENGTH as f64;
            section.ratios = vec![("tenant_bytes", without), ("tenant_token_bytes", besides)];
        }
    }
    section.tables.push(table);
    section
}

fn origins(scale: Scale) -> Table {
    let (rounds, calls) = scale.pick((1, 10_000), (11, 2_000_000));
    let mut table =
        Table::new(["origins", "ns to the first", "ns to the last", "ns to a foreign one"]);
    for count in [1, 10, 100, 1_000, 10_000] {
        let issuer = Issuer::new();
        let builder = (0..count).fold(credential::builder(&issuer), |builder, origin| {
            builder.origin(format!("https://api-{origin}.example"))
        });
        let authenticator = builder.build().expect("the settings are good");
        let cells = [0, count - 1, count].map(|origin| {
            let uri: Uri = format!("https://api-{origin}.example/v2").parse().expect("a URI");
            let expected = if origin < count { Target::Bound } else { Target::Foreign };
            assert_eq!(authenticator.target(&uri), expected);
            let calls = (calls / (origin + 1)).max(10);
            let lengths = (0..rounds).map(|_| {
                let started = now();
                for _ in 0..calls {
                    black_box(authenticator.target(black_box(&uri)));
                }
                started.elapsed().as_nanos() as f64 / calls as f64
            });
            format!("{:.0}", median(&lengths.collect::<Vec<_>>()))
        });
        table.row([count.to_string()].into_iter().chain(cells));
    }
    table
}

/// Bytes each without a token, bytes that each has more with one, those of a record, and nanoseconds per lookup.
pub(crate) fn child(arguments: &[String]) -> Vec<f64> {
    let count = number(arguments, 0);
    let (issuer, store) = (Issuer::new(), Seen::new(MemoryStore::new(), Arc::default()));
    let before = resident();
    let authenticators: HashMap<String, Authenticator> = (0..count)
        .map(|client| {
            let client = format!("client-{client}");
            let authenticator =
                builder_of(&client, &issuer).store(Store::new(store.clone())).build();
            (client, authenticator.expect("the settings are good"))
        })
        .collect();
    let without = resident();
    credential::runtime().block_on(async {
        for authenticator in authenticators.values() {
            authenticator.authorization().await.expect("a token");
        }
    });
    let with = resident();
    let each = |bytes: f64| bytes / count as f64;
    let record = store.last().map_or(f64::NAN, |(_, length)| length as f64);
    vec![each(without - before), each(with - without), record, lookup(&authenticators)]
}

/// Nanoseconds.
fn lookup(authenticators: &HashMap<String, Authenticator>) -> f64 {
    let names: Vec<_> = authenticators.keys().cloned().collect();
    let mut map = HeaderMap::with_capacity(8);
    let lengths = (0..11).map(|_| {
        let calls = names.len().max(10_000);
        let stopwatch = Stopwatch::start();
        for name in names.iter().cycle().take(calls) {
            let authorization = authenticators[name].try_authorization().expect("fresh");
            insert(&mut map, authorization.into_header());
        }
        stopwatch.stop().length().as_nanos() as f64 / calls as f64
    });
    median(&lengths.collect::<Vec<_>>())
}
