-- Beside the database "guardian" (tables, Iceberg catalog): the schema registry's and Airflow's.
CREATE DATABASE registry;
CREATE DATABASE airflow;
