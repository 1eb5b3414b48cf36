# Gatehouse in a container: what it takes to build stays behind, what runs is one program as its own user.
#
#   docker build -t gatehouse .
#   alias run='docker run --rm -v gatehouse-etc:/etc/gatehouse -v gatehouse-store:/var/lib/gatehouse'
#   run gatehouse init /etc/gatehouse --listen 0.0.0.0 --store /var/lib/gatehouse/gatehouse.db
#   run -p 8441-8444:8441-8444 -p 8480:8480 gatehouse
#
# `init` takes more: by what names the gateway is reached, and whose TPMs it trusts.

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies first: they are made again only when their scripts change.
COPY Makefile ./
COPY deploy/deps.sh deploy/wolfssl.sh deploy/mirror.sh deploy/
RUN make deps DEPS=build
COPY . .
RUN make -j"$(nproc)" && make install DESTDIR=/out

FROM debian:bookworm-slim
COPY deploy/deps.sh /tmp/deploy/
RUN DEPS=run sh /tmp/deploy/deps.sh && rm -rf /tmp/deploy /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/gatehouse --shell /usr/sbin/nologin gatehouse \
    && install -d -o gatehouse -g gatehouse -m 0700 /etc/gatehouse /var/lib/gatehouse \
    && install -d -o gatehouse -g gatehouse -m 0755 /run/gatehouse
COPY --from=build /out/usr/local/bin/gatehouse /usr/local/bin/
USER gatehouse
VOLUME ["/etc/gatehouse", "/var/lib/gatehouse"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/gatehouse"]
CMD ["serve", "--config", "/etc/gatehouse/gatehouse.ini"]
