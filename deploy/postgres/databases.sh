# Run once, when PostgreSQL makes its volume: the job store and MLflow each get a role and a database of their own.
# Neither role is a superuser, and neither may open the other's database. Sourced by a shell without arrays; the passwords
# are in no argument.
for name in retrain mlflow; do
    file=/run/secrets/postgres_password
    [ "$name" = retrain ] || file=/run/secrets/mlflow_postgres_password
    psql --set ON_ERROR_STOP=1 --quiet --username postgres --dbname postgres <<SQL
CREATE ROLE $name LOGIN PASSWORD '$(cat "$file")';
CREATE DATABASE $name OWNER $name;
REVOKE CONNECT ON DATABASE $name FROM PUBLIC;
SQL
done
