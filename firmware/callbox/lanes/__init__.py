"""Which connection carries which sealed frame: the same decisions at the box and at the server, each for its own hop.

    frames --> Spread --(lane, media message)--> connections          spread   what goes where, again, or not at all
    connections --LaneFacts (TCP_INFO)--> Spread                      lane     what one lane still owes
                                                                      trouble  how bad the hop is, what may be spent
                                                                      facts    what the kernel says of a connection

TCP repairs every loss by itself, but whatever was sent behind the loss waits for it. The voice is saved from that by
having several connections: frames that one still owes go once more over another.
"""
