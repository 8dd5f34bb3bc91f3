# PostgreSQL with pg_eventstore: the official image with the Debian package, which
# the first stage builds on the Debian release that has this version of PostgreSQL.
#   docker build --tag pg_eventstore .
#   docker build --build-arg PG_MAJOR=17 --build-arg SUITE=trixie --tag pg_eventstore:17 .
# Use it as the image "postgres", and CREATE EXTENSION pg_eventstore in each database.
ARG PG_MAJOR=15
ARG SUITE=bookworm

FROM debian:${SUITE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential debhelper postgresql-server-dev-all \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN make --directory /src deb

FROM postgres:${PG_MAJOR}-${SUITE}
COPY --from=build /src/dist/postgresql-${PG_MAJOR}-eventstore_*.deb /tmp/
RUN apt-get update \
    && apt-get install --yes --no-install-recommends /tmp/postgresql-*-eventstore_*.deb \
    && rm -rf /var/lib/apt/lists/* /tmp/*.deb
