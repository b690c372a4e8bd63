"""The pages a person looks at. It asks the API only: it knows no database, no lake and no rule."""
