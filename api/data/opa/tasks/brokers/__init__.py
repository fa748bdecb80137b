"""What is particular to RabbitMQ and redis as brokers, and to results in redis."""
