"""Every message that crosses the network, its codec and its versions. PROTOCOL.md beside this file explains them."""
