CALL bench.add_batches(:n);
