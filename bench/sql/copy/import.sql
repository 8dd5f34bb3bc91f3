COPY bench.copied_events FROM :'copy';
