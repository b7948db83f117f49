//! How many clients a cluster takes.

use super::Dispatch;
use crate::door::attendance::{Guest, GuestLimits, Limit, Place};
use crate::refusal::Refusal;
use std::net::IpAddr;

impl Dispatch {
    /// A place for a client from `address`, or which limit forbids it.
    pub fn admit(&self, address: IpAddr) -> Result<Place, Refusal> {
        let settings = self.pool_settings.load();
        let all = Limit::new(settings.max_clients, "pool.max_clients");
        let here = Limit::new(settings.max_clients_per_address, "pool.max_clients_per_address");
        self.clients.admit(address, &self.name, (&all, &here))
    }

    /// What limits a client whose login is over; `own`: the limit of its user.
    pub fn guest_limits(&self, guest: &Guest, own: Option<usize>) -> GuestLimits {
        let settings = self.pool_settings.load();
        let (user, database) = (&guest.user, &guest.database);
        GuestLimits {
            user: match own {
                Some(most) => Limit::new(most, format!("auth.users.{user}.max_clients")),
                None => Limit::new(settings.max_clients_per_user, "pool.max_clients_per_user"),
            },
            database: match settings.databases.get(&**database) {
                Some(own) => {
                    Limit::new(own.max_clients, format!("pool.databases.{database}.max_clients"))
                }
                None => {
                    Limit::new(settings.max_clients_per_database, "pool.max_clients_per_database")
                }
            },
            replication: Limit::new(settings.max_replication, "pool.max_replication"),
        }
    }
}
