import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from .catalogue import Catalogue
from .models import BadParameter, Problem, ProductPage, ProductQuery


class State(TypedDict):
    catalogue: Catalogue


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    yield {"catalogue": Catalogue.load(Path(os.environ["DATA_DIR"], "products.json"))}


async def get_catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.state.catalogue
    return catalogue


app = FastAPI(title="Shop", lifespan=lifespan)


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


@app.exception_handler(RequestValidationError)
async def bad_request(_: Request, exc: RequestValidationError) -> ProblemResponse:
    errors = [BadParameter(parameter=error["loc"][-1], detail=error["msg"]) for error in exc.errors()]
    problem = Problem(errors=errors)
    return ProblemResponse(problem.model_dump(), status_code=problem.status)


@app.get("/healthz", response_class=PlainTextResponse)
async def health() -> str:
    return "ok"


# async def, though nothing is awaited: a plain def would go to the thread pool, which pays for blocking I/O only.
@app.get("/products", responses={"4XX": {"model": Problem}})
async def list_products(
    query: Annotated[ProductQuery, Query()],
    catalogue: Annotated[Catalogue, Depends(get_catalogue)],
) -> ProductPage:
    return catalogue.search(query)
