//! What of the API a credential may open.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A resource of the demo API, ticked when a credential is made.
///
/// Its [`name`](Self::name) is the value that stands in a token's `scope` (RFC 6749 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resource {
    /// `/v2/shipments`.
    Shipments,
    /// `/v2/bookings`.
    Bookings,
    /// `/v2/purchase_orders`.
    PurchaseOrders,
    /// `/v2/invoices`.
    Invoices,
    /// `/v2/products`.
    Products,
    /// `/v2/documents`.
    Documents,
}

impl Resource {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Shipments,
        Self::Bookings,
        Self::PurchaseOrders,
        Self::Invoices,
        Self::Products,
        Self::Documents,
    ];

    /// As it stands in a path and in a `scope`: `purchase_orders`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shipments => "shipments",
            Self::Bookings => "bookings",
            Self::PurchaseOrders => "purchase_orders",
            Self::Invoices => "invoices",
            Self::Products => "products",
            Self::Documents => "documents",
        }
    }

    /// As people read it: `Purchase orders`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Shipments => "Shipments",
            Self::Bookings => "Bookings",
            Self::PurchaseOrders => "Purchase orders",
            Self::Invoices => "Invoices",
            Self::Products => "Products",
            Self::Documents => "Documents",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no resource of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownResource(());

impl fmt::Display for UnknownResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such resource; there are")?;
        for (index, resource) in Resource::ALL.iter().enumerate() {
            write!(f, "{} {resource}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownResource {}

impl FromStr for Resource {
    type Err = UnknownResource;

    fn from_str(name: &str) -> Result<Self, UnknownResource> {
        Self::ALL.into_iter().find(|resource| resource.name() == name).ok_or(UnknownResource(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_is_what_is_kept_on_disk() {
        for resource in Resource::ALL {
            assert_eq!(resource.name().parse(), Ok(resource));
            assert_eq!(serde_json::to_value(resource).unwrap(), resource.name());
        }
        let error = "Shipments".parse::<Resource>().unwrap_err().to_string();
        assert!(error.ends_with(
            "there are shipments, bookings, purchase_orders, invoices, products, documents"
        ));
    }
}
