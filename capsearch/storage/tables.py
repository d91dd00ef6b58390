"""The tables beside Optuna's. A row is written in one transaction or not at all."""

import sqlalchemy as sa

metadata = sa.MetaData()

studies = sa.Table(
    "capsearch_study",
    metadata,
    sa.Column("key", sa.String(120), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("question", sa.Text, nullable=False),  # the study file as JSON, defaults filled in
    sa.Column("started_at", sa.String(40), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, default=0.0),  # led by workers that have left
    sa.Column("leader", sa.String(32)),  # the worker that plans; NULL when it may be taken
    sa.Column("cut", sa.Text),  # why the search ended before its budget, if it did
    sa.Column("document", sa.Text),  # the result as JSON, once the study is complete
    sa.Column("tracking", sa.Text),  # where MLflow has it, as JSON, once it has all of it
)

workers = sa.Table(
    "capsearch_worker",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("study", sa.String(120), nullable=False, index=True),
    sa.Column("role", sa.String(10), nullable=False),  # 'study': the one command; or 'worker'
    sa.Column("threads", sa.Integer, nullable=False),  # that train; 0 for one that only leads
    sa.Column("host", sa.String(80), nullable=False),
    sa.Column("machine", sa.String(100), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("born", sa.String(40), nullable=False),
    sa.Column("until", sa.Float, nullable=False),  # the lease, by the database's own clock
    sa.Column("seconds", sa.Float, nullable=False, default=0.0),  # it has led
)

jobs = sa.Table(
    "capsearch_job",
    metadata,
    sa.Column("study", sa.String(120), primary_key=True),
    sa.Column("job", sa.String(24), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),  # in the order in which jobs are handed out
    sa.Column("task", sa.Text, nullable=False),  # the job as JSON
    sa.Column("worker", sa.String(32)),  # that trains it now
    sa.Column("lost", sa.Integer, nullable=False, default=0),  # workers that died training it
    sa.Column("engine", sa.String(20)),  # by which it was trained
    sa.Column("outcome", sa.Text),  # JSON, once it has ended
    sa.Column("val_losses", sa.LargeBinary),  # float32, one a validation row
    sa.Index("capsearch_job_place", "study", "place"),
)

# Looks for something to do are frequent, and must not walk over all that has ended.
sa.Index(
    "capsearch_job_open",
    jobs.c.study,
    jobs.c.worker,
    sqlite_where=jobs.c.outcome.is_(None),
    postgresql_where=jobs.c.outcome.is_(None),
)
