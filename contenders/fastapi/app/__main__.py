"""Production server: python -m app"""

import os
import signal
import sys
from types import FrameType

import uvicorn


def stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    # After a graceful stop uvicorn raises the signal once more for the handler it found: without one of ours
    # the process would die of SIGTERM instead of exiting with status 0.
    signal.signal(signal.SIGTERM, stop)
    uvicorn.run(
        "app.main:app",
        host=os.environ["HOST"],
        port=int(os.environ["PORT"]),
        workers=int(os.environ["WORKERS"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
