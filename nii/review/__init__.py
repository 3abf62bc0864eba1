"""The officer's web app: what the store holds, shown and decided upon in a browser."""

from importlib.util import find_spec

from nii.errors import MissingExtraError

if not all(map(find_spec, ("jinja2", "python_multipart", "starlette", "uvicorn"))):
    raise MissingExtraError.of("review", "the web app")
