# emotune for one machine, Kubernetes or SkyPilot. How to use it: docs/tutorials/containers.md.
#   docker build -t emotune:cpu .
#   docker build -t emotune:cuda --build-arg ACCELERATOR=cuda .
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/emotune
ENV PATH=/opt/emotune/bin:$PATH

# torch has a layer of its own, which changes of emotune leave as it is. Its wheels for CUDA bring CUDA along (several GB);
# those without are on an index of their own. What both need comes with the next step.
ARG ACCELERATOR=cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt ./
RUN case "$ACCELERATOR" in \
        cpu) set -- --index-url "$TORCH_CPU_INDEX" ;; \
        cuda) set -- ;; \
        *) echo "ACCELERATOR is cpu or cuda, not '$ACCELERATOR'" >&2; exit 2 ;; \
    esac; \
    pip install --no-deps --only-binary :all: --constraint constraints.txt "$@" torch torchvision

# The dependencies, in the tested versions, and only as wheels: nothing is compiled, so no compiler is needed.
ARG EXTRAS=classical,cluster,timm,video
COPY pyproject.toml ./
RUN python -c 'import sys, tomllib; \
project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
chosen = [project["optional-dependencies"][name] for name in sys.argv[1].split(",") if name]; \
print(*project["dependencies"], *sum(chosen, []), sep="\n")' "$EXTRAS" > requirements.txt && \
    pip install --only-binary :all: --constraint constraints.txt --requirement requirements.txt

COPY README.md LICENSE ./
COPY ablations ablations
COPY emotune emotune
RUN pip install --no-deps . && pip check


FROM ${PYTHON_IMAGE}
ARG ACCELERATOR=cpu
ARG REVISION=unknown
LABEL org.opencontainers.image.title="emotune" \
      org.opencontainers.image.description="Ablation studies of image-emotion classifiers ($ACCELERATOR)" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
# Any user may write to the home and to /work, since `docker run --user` and some clusters choose another than this one.
RUN groupadd --gid 1000 emotune && useradd --uid 1000 --gid 1000 --home-dir /home/emotune --shell /bin/bash emotune && \
    install --directory --mode 1777 /home/emotune /home/emotune/.cache /work
COPY --from=build /opt/emotune /opt/emotune
ENV PATH=/opt/emotune/bin:$PATH \
    HOME=/home/emotune USER=emotune LOGNAME=emotune \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
WORKDIR /work
# The image is not made if its user cannot plan the quickstart.
RUN python -m emotune.ablate --help > /dev/null && python -m emotune.ablate --plan > /dev/null
# It holds a command that ends, not a service.
HEALTHCHECK NONE
CMD ["python", "-m", "emotune.ablate", "--help"]
