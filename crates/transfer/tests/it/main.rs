//! Copies between real stores over real sockets.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod door;
#[cfg(test)]
mod external;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod harm;
#[cfg(test)]
mod namespace;
#[cfg(test)]
mod shaper;
#[cfg(test)]
mod store;
#[cfg(test)]
mod upload;
