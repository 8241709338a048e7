//! Quotas, reclaim and fair share: Kueue's behaviors by the names its documentation gives them, and
//! properties against a second implementation written from the definitions.

#[cfg(test)]
mod hierarchy;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod reclaim;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod waiting;
