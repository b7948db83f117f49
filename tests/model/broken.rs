//! The rules of the protocol, each as it can be broken.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    /// Standbys count as revoked that were only told to.
    Revocation,
    /// Any standby is enough.
    Quorum,
    /// The standby that has least is chosen.
    Choice,
    /// The old primary counts as fenced when it was told to be.
    Fence,
    /// Proxies that still use the old primary are not waited for.
    Barrier,
    /// A coordinator that comes late chooses anew although the order may be out.
    Order,
    /// The record is replaced without a look at what it is now.
    Compare,
}
