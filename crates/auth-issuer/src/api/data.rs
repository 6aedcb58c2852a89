//! What the demo API has to show: the same every time, enough to tell one resource from another.

use serde_json::{Value, json};

use crate::resource::Resource;

/// How many there are of each.
const COUNT: u64 = 3;

/// All of a resource, in the dress of v2.
pub(super) fn list_v2(resource: Resource) -> Value {
    response(&json!({
        "_object": "/api/collections/paginated",
        "prev": null,
        "next": null,
        "data": all(resource),
    }))
}

/// One of a resource, in the dress of v2.
pub(super) fn item_v2(resource: Resource, id: u64) -> Option<Value> {
    item(resource, id).map(|item| response(&item))
}

/// All of a resource, in the dress of v1.
pub(super) fn list_v1(resource: Resource) -> Value {
    let name = resource.name();
    json!({ name: all(resource), "meta": { "page": 1, "per": COUNT, "total": COUNT } })
}

/// One of a resource.
pub(super) fn item(resource: Resource, id: u64) -> Option<Value> {
    let first = first(resource);
    (first..first + COUNT).contains(&id).then(|| object(resource, id, id - first))
}

fn all(resource: Resource) -> Vec<Value> {
    let first = first(resource);
    (0..COUNT).map(|index| object(resource, first + index, index)).collect()
}

fn response(data: &Value) -> Value {
    json!({ "_object": "/api/response", "version": 2, "error": null, "data": data })
}

fn first(resource: Resource) -> u64 {
    match resource {
        Resource::Shipments => 1001,
        Resource::Bookings => 2001,
        Resource::PurchaseOrders => 3001,
        Resource::Invoices => 4001,
        Resource::Products => 5001,
        Resource::Documents => 6001,
    }
}

fn object(resource: Resource, id: u64, index: u64) -> Value {
    let pick = |of: [&'static str; 3]| of[usize::try_from(index % 3).unwrap_or_default()];
    let goods = pick(["Teapots", "Valves", "Sensors"]);
    match resource {
        Resource::Shipments => json!({
            "_object": "/shipment",
            "id": id,
            "name": pick(["Teapots to Rotterdam", "Valves to Oakland", "Sensors to Lyon"]),
            "transportation_mode": pick(["ocean", "ocean", "air"]),
        }),
        Resource::Bookings => json!({
            "_object": "/booking",
            "id": id,
            "name": format!("Booking {id}"),
            "status": pick(["booked", "submitted", "draft"]),
            "shipment_id": 1001 + index,
        }),
        Resource::PurchaseOrders => json!({
            "_object": "/purchase_order",
            "id": id,
            "name": format!("PO-{id}"),
            "line_items": [{ "product_id": 5001 + index, "units": 100 * (index + 1) }],
        }),
        Resource::Invoices => json!({
            "_object": "/invoice",
            "id": id,
            "name": format!("INV-{id}"),
            "total": { "amount": format!("{}.00", 1200 + 350 * index), "currency_code": "USD" },
            "shipment_id": 1001 + index,
        }),
        Resource::Products => json!({
            "_object": "/product",
            "id": id,
            "name": goods,
            "sku": format!("SKU-{id}"),
        }),
        Resource::Documents => json!({
            "_object": "/document",
            "id": id,
            "file_name": format!("{}-{id}.pdf", pick(["bill-of-lading", "packing-list", "invoice"])),
            "shipment_id": 1001 + index,
        }),
    }
}
