# The worker: Python, the base install with the versions of requirements.lock, the models and the default policy.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/flagstream
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY schemas schemas
COPY models models
COPY agents agents
COPY stream stream
RUN /opt/flagstream/bin/pip install --no-cache-dir --disable-pip-version-check --constraint requirements.lock .

FROM python:3.11.13-slim-bookworm
COPY --from=build /opt/flagstream /opt/flagstream
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin flagstream \
    && install --directory --owner=flagstream --group=flagstream /var/lib/flagstream
ENV PATH=/opt/flagstream/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLAGSTREAM_WEB_HOST=0.0.0.0 \
    FLAGSTREAM_WEB_PORT=6066 \
    FLAGSTREAM_STATE_DIR=/var/lib/flagstream/state \
    FLAGSTREAM_LOG=json
WORKDIR /var/lib/flagstream
USER flagstream
VOLUME /var/lib/flagstream
EXPOSE 6066
# Answers 200 once models are loaded, state is restored and partitions are assigned.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"FLAGSTREAM_WEB_PORT\"]}/ready', timeout=4)"]
ENTRYPOINT ["flagstream"]
CMD ["worker"]
