# The page in a container: docs/hosting.md says how to run it.
#   docker build -t mgdemo .                              for the CPU
#   docker build -t mgdemo:cuda --build-arg DEVICE=cuda . for NVIDIA GPUs
#   docker build -t mgdemo:ray --build-arg RAY=yes .      as a node of a Ray cluster, too (hosting/kuberay.yaml)
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS packages
ARG DEVICE=cpu
ARG RAY=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements.txt constraints.txt ./
# PyPI's torch brings several GB of CUDA; the CPU's lies elsewhere, and its version (+cpu) goes before.
RUN python -m venv /opt/mgdemo \
    && if [ "$DEVICE" = cpu ]; then export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu; fi \
    && /opt/mgdemo/bin/pip install -c constraints.txt -r requirements.txt ${RAY:+"ray[default]"} \
    && if [ "$DEVICE" = cpu ]; then [ -z "$(find /opt/mgdemo -maxdepth 5 -name 'nvidia*')" ]; fi

FROM python:${PYTHON}-slim
ARG DEVICE=cpu
ARG RAY=
# tini passes signals on and collects orphans; Triton compiles a small part of each kernel with gcc.
# Kubernetes asks Ray's nodes with wget how they are.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini ${RAY:+wget} \
    && if [ "$DEVICE" = cuda ]; then apt-get install -y --no-install-recommends gcc libc6-dev; fi \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home mgdemo \
    && install -d -o mgdemo -g mgdemo -m 700 /data
COPY --from=packages /opt/mgdemo /opt/mgdemo
WORKDIR /app
COPY . .
USER 1000
ENV PATH=/opt/mgdemo/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_TEMP_DIR=/data/uploads \
    HF_HOME=/data/huggingface \
    MGDEMO_CHECKPOINTS=/data/checkpoints \
    MGDEMO_RECORD_DIR=/data/sessions
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz')"]
ENTRYPOINT ["tini", "--", "python", "-m", "mgdemo"]
CMD ["app", "--no-browser"]
