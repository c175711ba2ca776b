import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Four hops through Kafka, exactly once: hop0 → hop1 → hop2 → hop3 → hop4. Each hop is an application of its own, as
 * each of Herald's services is, keeps the latest value of a key, and sends it on unread.
 *
 * <p>Arguments: bootstrap servers, topic prefix, commit interval in ms (0: the default), state directory. Prints READY
 * once all four run; ends when its input ends.
 */
public class FourHops {
  private static final int HOPS = 4;

  public static void main(String[] arguments) throws Exception {
    List<KafkaStreams> hops = new ArrayList<>();
    CountDownLatch running = new CountDownLatch(HOPS);
    for (int hop = 0; hop < HOPS; hop++) {
      KafkaStreams streams = hop(arguments[0], arguments[1], Integer.parseInt(arguments[2]), Path.of(arguments[3]), hop);
      streams.setStateListener(
          (now, before) -> {
            if (now == KafkaStreams.State.RUNNING) running.countDown();
          });
      streams.start();
      hops.add(streams);
    }
    running.await();
    System.out.println("READY");
    while (System.in.read() >= 0) {}
    hops.forEach(KafkaStreams::close);
  }

  private static KafkaStreams hop(String bootstrap, String prefix, int commitMs, Path state, int hop) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "streams-" + hop);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, state.resolve("hop" + hop).toString());
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put("auto.offset.reset", "earliest");
    if (commitMs > 0) settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMs);
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("latest"), Serdes.String(), Serdes.ByteArray()));
    builder.stream(prefix + "hop" + hop, Consumed.with(Serdes.String(), Serdes.ByteArray()))
        .process(Keeps::new, "latest")
        .to(prefix + "hop" + (hop + 1), Produced.with(Serdes.String(), Serdes.ByteArray()));
    return new KafkaStreams(builder.build(), settings);
  }

  private static class Keeps implements Processor<String, byte[], String, byte[]> {
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> latest;

    @Override
    public void init(ProcessorContext<String, byte[]> given) {
      context = given;
      latest = given.getStateStore("latest");
    }

    @Override
    public void process(Record<String, byte[]> record) {
      latest.put(record.key(), record.value());
      context.forward(record);
    }
  }
}
