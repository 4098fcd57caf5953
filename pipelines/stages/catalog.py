"""The catalog of stages: what the command, the DAGs, the runner and README know of each.

A new stage is a file beside this one, its settings, and an entry here. Imports nothing heavy.
"""

from __future__ import annotations

from pipelines.errors import FeatureError, SettingsError
from pipelines.stages.stage import DependsOn, Equation, InDag, Stage, Stages

STAGES = Stages(
    Stage(
        name="ingest",
        help="Read new landing files into bronze tables, each file once.",
        reads="landing files",
        writes="`bronze.<source>`, `bronze.<source>_rejected`",
        again="reads each file once",
        writes_tables=lambda tables: tables.of_sources,
        depends_on=DependsOn(settings=("ingest",)),
        # Records of the landing files: rows of bronze, or put aside.
        equations=(Equation("rows_in", ("rows_out", "malformed")),),
        dags=(InDag("prepare"),),
        sees_clear_values=True,
    ),
    Stage(
        name="clean",
        help="Turn new bronze rows into typed silver rows; put bad ones into quarantine.",
        reads="new bronze rows",
        writes="`silver.<entity>`, `quarantine.<entity>`",
        again="merges on the key",
        reads_tables=lambda tables: tables.of_sources,
        writes_tables=lambda tables: tables.of_entities,
        after=("ingest",),
        depends_on=DependsOn(settings=("clean",)),
        equations=(
            Equation(
                "rows_in",
                (
                    *("inserted", "updated", "unchanged", "deleted"),
                    *("superseded", "dropped", "quarantined"),
                ),
            ),
        ),
        dags=(InDag("prepare"),),
        sees_clear_values=True,
        rewrites_pseudonyms=True,
        sql_error=SettingsError,
        can_do_again=True,
    ),
    Stage(
        name="featurize",
        help="Compute raw feature values from silver, one row per key and date.",
        reads="silver",
        writes="`gold.<table>`",
        again="replaces that day",
        reads_tables=lambda tables: tables.of_entities,
        writes_tables=lambda tables: (tables.features,),
        after=("clean",),
        depends_on=DependsOn(("featurize",), ("featurize.sql",), ("featurize.function",)),
        # Rows computed: those that the table then holds for the days.
        equations=(Equation("rows_computed", ("rows_out",)),),
        # All days are featurized anew before a training: labels have arrived since.
        dags=(InDag("prepare", is_dated=True, since="featurize.label_days"), InDag("train")),
        rewrites_pseudonyms=True,
        sql_error=FeatureError,
    ),
    Stage(
        name="normalize",
        help="Fit the feature spec and write the training set with its splits.",
        reads="gold features",
        writes="`gold.<training_set>`, feature spec",
        again="writes nothing new for the same input",
        reads_tables=lambda tables: (tables.features,),
        writes_tables=lambda tables: tables.made_anew,
        after=("featurize",),
        # It fits the statistics of the folds.
        depends_on=DependsOn(settings=("normalize", "train.folds")),
        # Feature rows: in a split, without a label, or in no split; the splits are written.
        equations=(
            Equation("rows_in", ("train", "validation", "test", "rows_unlabelled", "outside")),
            Equation("rows_out", ("train", "validation", "test")),
        ),
        dags=(InDag("train"),),
    ),
    Stage(
        name="train",
        help="Train the model on the training set; keep it as a bundle.",
        reads="training set",
        writes="model bundle, MLflow run",
        again="trains anew (the same run id: once)",
        reads_tables=lambda tables: (tables.features, *tables.made_anew),
        after=("normalize",),
        # Its metrics go by the threshold.
        depends_on=DependsOn(settings=("train", "score.threshold"), functions=("train.model",)),
        equations=(),
        counted_elsewhere="where rows pass by: an epoch trains on each row once",
        dags=(InDag("train"),),
        side_by_side=True,
    ),
    Stage(
        name="promote",
        help="Make the newest candidate the champion, if it passes its thresholds.",
        reads="candidate, champion, test split",
        writes="alias `champion`",
        again="changes nothing",
        reads_tables=lambda tables: (tables.features, *tables.made_anew),
        after=("train",),
        depends_on=DependsOn(settings=("promote",)),
        equations=(),
        counted_elsewhere="where rows pass by: a champion is judged by all test rows",
        dags=(InDag("train"),),
        shares_run_of="train",
        loads_models=True,
        can_go_by_hand=True,
    ),
    Stage(
        name="score",
        help="Predict for the logical date, or a range, with the champion.",
        reads="gold features of the day, champion",
        writes="`predictions.<model>`",
        again="inserts nothing",
        reads_tables=lambda tables: (tables.features,),
        writes_tables=lambda tables: (tables.predictions,),
        after=("promote",),
        depends_on=DependsOn(settings=("score",)),
        # Feature rows of the days: predicted now, or before.
        equations=(Equation("rows_in", ("inserted", "unchanged")),),
        dags=(InDag("score", is_dated=True),),
        side_by_side=True,
        loads_models=True,
    ),
    Stage(
        name="monitor",
        help="Check quality, drift and performance; write the report page.",
        reads="features, predictions, labels",
        writes="`monitoring.<model>_*`, report",
        again="replaces that date",
        reads_tables=lambda tables: (*tables.of_entities, tables.features, tables.predictions),
        writes_tables=lambda tables: (tables.quality, tables.drift, tables.performance),
        after=("score",),
        depends_on=DependsOn(settings=("monitor",)),
        equations=(
            # Predictions of the days: of versions in use or replaced; with a label by now, or not.
            Equation("rows_in", ("predictions", "replaced")),
            Equation("predictions", ("labelled", "unlabelled")),
            # Feature rows of training and of the days, once a feature: each in one bin.
            Equation("drift_rows", ("drift_binned",)),
        ),
        dags=(InDag("monitor", is_dated=True),),
        rewrites_pseudonyms=True,
        loads_models=True,
    ),
)
