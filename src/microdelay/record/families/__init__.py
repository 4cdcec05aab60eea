"""What the probes of one family share: clients of HTTP, databases, servers, codecs, waits, …"""
