# capsearch as a batch job: the study storage, the MLflow store, reports and prepared data live on
# the volume /data; everything else is read-only.
#   docker build -t capsearch .
#   docker run --rm -v capsearch:/data capsearch study imdb
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/capsearch
ENV PATH=/opt/capsearch/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY .requirements/run.txt ./
RUN pip install --no-deps --require-hashes -r run.txt
COPY pyproject.toml README.md LICENSE ./
COPY capsearch ./capsearch
COPY studies ./studies
RUN pip install --no-deps --no-build-isolation . && pip check

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="capsearch" \
      org.opencontainers.image.description="Finds the smallest Keras network that is not worse than the best one" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --no-create-home --home-dir /data --uid 10001 capsearch && install -d -o capsearch -g capsearch /data
COPY --from=build /opt/capsearch /opt/capsearch
# With its home on the volume, compiled kernels and downloads of Keras outlive a container.
ENV PATH=/opt/capsearch/bin:$PATH \
    HOME=/data \
    CAPSEARCH_ROOT=/data/mlruns \
    CAPSEARCH_CACHE=/data/cache \
    PYTHONUNBUFFERED=1
USER capsearch
WORKDIR /data
VOLUME /data
ENTRYPOINT ["capsearch"]
CMD ["--help"]
