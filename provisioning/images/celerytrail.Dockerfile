# celerytrail with everything but the demo's embedded servers: sink, action API, maintainer, verifier,
# the commands, and the example application. Build it from the root of the repository.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY . .
# The versions that are tested; a hash cannot be asked for beside the project itself, which has none.
RUN sed -e '/--hash=/d' -e 's/ *\\$//' constraints.txt >/tmp/constraints.txt \
    && python -m venv /opt/celerytrail \
    && /opt/celerytrail/bin/pip install --no-cache-dir --constraint /tmp/constraints.txt '.[sink,actions,seal,checkpoint]'

FROM python:3.13-slim-bookworm
ENV PATH=/opt/celerytrail/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/celerytrail /opt/celerytrail
# A volume that is mounted here is this user's.
RUN groupadd --gid 10001 celerytrail \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin celerytrail \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/celerytrail /var/lib/elsewhere
WORKDIR /var/lib/celerytrail
USER 10001:10001
CMD ["celerytrail", "--help"]
