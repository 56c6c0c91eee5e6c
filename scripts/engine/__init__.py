"""The Docker Engine: query it, install it on Debian, start and stop a daemon.

The modules import downwards: daemon > debian > host, client. Other packages use only client.
"""
