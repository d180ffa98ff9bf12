# Run once, when PostgreSQL makes its first database (the job store): MLflow gets a role and a database of its own, and
# neither role may open the other's. Sourced by a shell without arrays, and the password is in no argument.
psql --set ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<SQL
CREATE ROLE mlflow LOGIN PASSWORD '$(cat /run/secrets/mlflow_postgres_password)';
CREATE DATABASE mlflow OWNER mlflow;
REVOKE CONNECT ON DATABASE mlflow, "$POSTGRES_DB" FROM PUBLIC;
SQL
