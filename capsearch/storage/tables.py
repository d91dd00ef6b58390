"""The tables of a study storage. A row is written in one transaction or not at all."""

import sqlalchemy as sa

metadata = sa.MetaData()
VERSIONS = {"studies": 2, "openings": 1}
"""Of what this version of capsearch writes: `capsearch_study` and `capsearch_job` were the first
version of the studies. The openings have never changed, or a test split would be opened again."""

versions = sa.Table(
    "capsearch_version",
    metadata,
    sa.Column("part", sa.String(20), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)

studies = sa.Table(
    "capsearch_studies",
    metadata,
    sa.Column("key", sa.String(120), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),  # of the question
    sa.Column("question", sa.Text, nullable=False),  # the study file as JSON, defaults filled in
    sa.Column("source", sa.String(64), nullable=False),  # identity of the data source
    sa.Column("profile", sa.Text, nullable=False),  # of the data, as JSON
    sa.Column("ladder", sa.Text, nullable=False),  # as JSON
    sa.Column("engine", sa.String(40), nullable=False),  # its id: one for the whole study
    sa.Column("started_at", sa.String(40), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, default=0.0),  # of all drivers so far
    sa.Column("fence", sa.Integer, nullable=False, default=0),  # how many drivers there have been
    sa.Column("driver", sa.Text),  # the latest one as JSON: host, pid, since
    sa.Column("more_trials", sa.Integer, nullable=False, default=0),  # asked for beyond the file
    sa.Column("more_replicates", sa.Integer, nullable=False, default=0),
    sa.Column("cut", sa.Text),  # why the search ended before its budget, if it did
    sa.Column("proof", sa.Text),  # JSON: the compiled engine against Keras
    sa.Column("decision", sa.Text),  # JSON: stored before the test split is opened
    sa.Column("document", sa.Text),  # the result as JSON, once the study is complete
    sa.Column("tracking", sa.Text),  # where MLflow has it, as JSON, once it has all of it
)

trials = sa.Table(
    "capsearch_trials",
    metadata,
    sa.Column("study", sa.String(120), primary_key=True),
    sa.Column("id", sa.String(120), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),  # in the order in which they were planned
    sa.Column("kind", sa.String(12), nullable=False),  # baseline, search, replicate
    sa.Column("rung", sa.Integer, nullable=False),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("parameters", sa.Integer, nullable=False),
    sa.Column("job_key", sa.String(24), nullable=False),
    sa.Column("job", sa.Text, nullable=False),  # JSON
    sa.Column("draw", sa.Text),  # JSON: what the sampler drew, and from which distributions
    sa.Column("starts", sa.Integer, nullable=False, default=0),  # of its training
    sa.Column("outcome", sa.Text),  # JSON, once it has ended
    sa.Column("val_losses", sa.LargeBinary),  # float32, one a validation row, times its weight
    sa.Column("outputs", sa.LargeBinary),  # of replicates: float32, row by row, on validation rows
    sa.Column("weights", sa.LargeBinary),  # npz: of the replicate that stands for its finalist
    sa.Index("capsearch_trials_job", "study", "job_key"),
)

openings = sa.Table(
    "capsearch_opening",
    metadata,
    sa.Column("test_split", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("study", sa.String(120), nullable=False),
    sa.Column("choice", sa.String(64), nullable=False),
    sa.Column("opened_at", sa.String(40), nullable=False),
    sa.Column("score", sa.Text),  # JSON; NULL between the claim and the score
)
