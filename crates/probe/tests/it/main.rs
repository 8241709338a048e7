//! Sessions over real sockets, and packets of other codecs.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod live;
