# shellcheck shell=sh
# Sourced by steps that fetch over HTTPS. If the host's CA bundle is passed as the secret `ca`, as
# for a proxy with its own CA, all tools use it.
if [ -s /run/secrets/ca ]; then
    export SSL_CERT_FILE=/run/secrets/ca CARGO_HTTP_CAINFO=/run/secrets/ca \
        PIP_CERT=/run/secrets/ca CURL_CA_BUNDLE=/run/secrets/ca GIT_SSL_CAINFO=/run/secrets/ca
fi
# The host's registry settings, if it has any.
if [ -s /run/secrets/goproxy ]; then
    GOPROXY=$(cat /run/secrets/goproxy)
    export GOPROXY
fi
if [ -s /run/secrets/cargo ]; then
    mkdir -p "${CARGO_HOME:=$HOME/.cargo}"
    cp /run/secrets/cargo "$CARGO_HOME/config.toml"
fi
