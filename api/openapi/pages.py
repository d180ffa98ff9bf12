"""/docs (Swagger UI, from files that are installed with the API) and /openapi.json."""

from importlib.resources import files

from flask import Blueprint, Flask, Response, jsonify

from api.openapi.document import document

SWAGGER = str(files("flask_openapi3_swagger") / "templates" / "swagger")
PAGE = files("api") / "docs_page"
# The browser itself keeps the page from loading anything from elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def register(app: Flask) -> None:
    """Add both to the app."""
    blueprint = Blueprint("docs", __name__, static_folder=SWAGGER, static_url_path="/docs/swagger")
    described = document()
    html, script = ((PAGE / name).read_text(encoding="utf-8") for name in ("index.html", "start.js"))

    @blueprint.get("/docs")
    def page() -> Response:
        return Response(html, mimetype="text/html", headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @blueprint.get("/docs/start.js")
    def start() -> Response:
        return Response(script, mimetype="text/javascript")

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(described)

    app.register_blueprint(blueprint)
