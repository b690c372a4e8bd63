-- Beside the database "guardian" (tables, Iceberg catalog): the one of the schema registry.
CREATE DATABASE registry;
