"""MLflow's own client of its scoring protocol asks our service, and gets what ours says."""

import pandas as pd
import pytest

from pipelines.config.serve import Serve
from pipelines.serving.app import make_app
from pipelines.serving.models import Champion
from tests.serving.test_app import ROW, Registry, serving

# MLflow warns of its own use of libraries.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("rows", [[ROW], [ROW, {**ROW, "distance": None, "stops": 3}]])
def test_mlflow_s_client_is_answered_as_our_own_is(rows):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    registry = Registry()
    with serving(make_app(Champion(registry.find, registry.load), Serve())) as client:
        theirs = ScoringServerClient(client.base_url.host, client.base_url.port)
        theirs.wait_server_ready(timeout=30)
        frame = pd.DataFrame(rows).astype({"file": object})
        found = theirs.invoke(frame).get_predictions()
        ours = client.post("/predict", json={"rows": rows}).json()["predictions"]
    # A row without a number has no sum here: null over HTTP, and no failure.
    assert [one["prediction"] for one in ours] == [6.5, None][: len(rows)]
    assert found["prediction"].tolist() == pytest.approx(
        [6.5, float("nan")][: len(rows)], nan_ok=True
    )
