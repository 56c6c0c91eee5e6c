"""The Docker Engine: query it, install it on Debian, start and stop a daemon.

The modules import downwards: daemon, emulation > debian > host, client. Of other packages,
images uses emulation and host, and the others only client.
"""
