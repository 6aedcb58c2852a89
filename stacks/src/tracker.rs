//! The service itself.

use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::shipments::shipments_server::Shipments;
use crate::shipments::{GetRequest, Shipment};

/// Knows where the shipments are; they all travel together. Clones are the same tracker.
#[derive(Clone, Debug)]
pub struct Tracker {
    place: watch::Sender<String>,
}

impl Tracker {
    /// With all shipments in this place.
    pub fn new(place: impl Into<String>) -> Self {
        Self { place: watch::Sender::new(place.into()) }
    }

    /// The shipments are somewhere else, and who watches hears it.
    pub fn arrive(&self, place: impl Into<String>) {
        self.place.send_replace(place.into());
    }
}

#[tonic::async_trait]
impl Shipments for Tracker {
    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<Shipment, Status>> + Send>>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Shipment>, Status> {
        let id = request.into_inner().id;
        Ok(Response::new(Shipment { id, place: self.place.borrow().clone() }))
    }

    async fn watch(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let id = request.into_inner().id;
        let places = WatchStream::new(self.place.subscribe());
        Ok(Response::new(Box::pin(places.map(move |place| Ok(Shipment { id, place })))))
    }
}
