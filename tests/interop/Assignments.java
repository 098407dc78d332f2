import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.AbstractStickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.log4j.Level;
import org.apache.log4j.LogManager;

/**
 * Kafka's own assignors on groups made by chance. Members join, leave and change what they want;
 * what they own goes on from round to round, sometimes out of date or in contradiction.
 *
 * <p>`Assignments.java write FILE` writes what they answer, `check FILE` compares. A line:
 *
 * <pre>
 * group 7                       what follows is a new group
 * topics bills=3 orders=8       all there are; from here on they are a, b, ...
 * member ID INSTANCE a,b        one of them; - where there is nothing
 * range LISTS                   what each gets, in the order of the members: a0-2,b7;-;a3
 * sticky OWNED LISTS            with what each had before, and in which generation: 4:a0-2;-1:-
 * cooperative-sticky OWNED LISTS FIRST    and what each gets while others still have the rest;
 *                               = if that is the same
 * </pre>
 */
public final class Assignments {
    private static final int GROUPS = 1600;

    /** What the cooperative assignor aims at, before it holds back what moves. */
    private static final class Target extends AbstractStickyAssignor {
        @Override
        public String name() {
            return "target";
        }

        @Override
        protected MemberData memberData(Subscription subscription) {
            return new MemberData(subscription.ownedPartitions(), subscription.generationId());
        }
    }

    private record Owned(int generation, List<TopicPartition> partitions) {
        static final Owned NOTHING = new Owned(-1, List.of());
    }

    private record Member(String id, String instance, Set<String> topics) {}

    /** A group with one assignor, and what its members own by it. */
    private final class Strategy {
        final String name;
        final ConsumerPartitionAssignor assignor;
        final Map<String, Owned> owned = new HashMap<>();
        int generation = 0;

        Strategy(String name, ConsumerPartitionAssignor assignor) {
            this.name = name;
            this.assignor = assignor;
        }

        Map<String, List<TopicPartition>> answer(ConsumerPartitionAssignor assignor) {
            Map<String, Subscription> subscriptions = new HashMap<>();
            for (Member member : members)
                subscriptions.put(member.id, subscription(member));
            Map<String, List<TopicPartition>> lists = new HashMap<>();
            assignor.assign(cluster(), new GroupSubscription(subscriptions)).groupAssignment()
                .forEach((id, assignment) -> lists.put(id, assignment.partitions()));
            return lists;
        }

        Subscription subscription(Member member) {
            Owned had = owned.getOrDefault(member.id, Owned.NOTHING);
            Subscription subscription = new Subscription(
                new ArrayList<>(member.topics), name.equals("sticky") ? userData(had) : null,
                had.partitions, had.generation, Optional.empty());
            subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
            return subscription;
        }

        void take(Map<String, List<TopicPartition>> lists) {
            generation++;
            owned.keySet().retainAll(lists.keySet());
            for (Member member : members)
                if (random.nextInt(12) > 0) // or it has missed this round
                    owned.put(member.id, new Owned(generation, sorted(lists.get(member.id))));
            if (random.nextInt(12) == 0)
                contradict();
        }

        /** One member claims what another has, or has lost count. */
        void contradict() {
            Member liar = pick(members);
            List<TopicPartition> claimed = new ArrayList<>();
            for (Member member : members)
                for (TopicPartition partition : owned.getOrDefault(member.id, Owned.NOTHING).partitions)
                    if (random.nextInt(3) == 0 && !claimed.contains(partition))
                        claimed.add(partition);
            int lost = random.nextInt(4) == 0 ? -1 : generation - random.nextInt(3);
            owned.put(liar.id, new Owned(Math.max(-1, lost), sorted(claimed)));
        }

        String had() {
            return members.stream().map(member -> owned.getOrDefault(member.id, Owned.NOTHING))
                .map(had -> had.generation + ":" + shown(had.partitions))
                .collect(Collectors.joining(";"));
        }
    }

    private final PrintStream out;
    private final Random random;
    private final Map<String, Integer> topics = new TreeMap<>();
    private final List<Member> members = new ArrayList<>();
    private final Map<String, Integer> unusable;
    private final int most;
    private int made = 0;

    private Assignments(long seed, PrintStream out, Map<String, Integer> unusable) {
        this.out = out;
        this.unusable = unusable;
        random = new Random(seed);
        most = seed % 200 == 199 ? 50 : 2 + random.nextInt(10);
        out.println("group " + seed);
    }

    private void run() {
        List<Strategy> strategies = List.of(
            new Strategy("range", new RangeAssignor()),
            new Strategy("roundrobin", new RoundRobinAssignor()),
            new Strategy("sticky", null),
            new Strategy("cooperative-sticky", null));
        boolean alike = random.nextBoolean();
        for (int topic = 1 + random.nextInt(5); topic > 0; topic--)
            topics.put(topicName(), 1 + random.nextInt(most > 12 ? 50 : 9));
        for (int member = 1 + random.nextInt(most); member > 0; member--)
            join(alike);
        for (int round = 2 + random.nextInt(3); round > 0; round--) {
            out.println(topics.entrySet().stream().map(topic -> topic.getKey() + "=" + topic.getValue())
                .collect(Collectors.joining(" ", "topics ", "")));
            for (Member member : members)
                out.println("member " + member.id + " " + orNothing(member.instance) + " "
                    + orNothing(member.topics.stream().map(this::letter).collect(Collectors.joining(","))));
            strategies.forEach(this::round);
            change(alike);
        }
    }

    private void round(Strategy strategy) {
        Map<String, List<TopicPartition>> lists;
        switch (strategy.name) {
            case "sticky":
                lists = answer(strategy, new StickyAssignor());
                if (lists != null)
                    out.println("sticky " + strategy.had() + " " + shown(lists));
                break;
            case "cooperative-sticky":
                Map<String, List<TopicPartition>> target = answer(strategy, new Target());
                lists = answer(strategy, new CooperativeStickyAssignor());
                if (lists != null && target != null)
                    out.println("cooperative-sticky " + strategy.had() + " " + shown(target) + " "
                        + (target.equals(lists) ? "=" : shown(lists)));
                break;
            default:
                lists = answer(strategy, strategy.assignor);
                if (lists != null)
                    out.println(strategy.name + " " + shown(lists));
        }
        if (lists != null)
            strategy.take(lists);
    }

    /** What an assignor answers, or nothing if that is of no use. */
    private Map<String, List<TopicPartition>> answer(Strategy strategy, ConsumerPartitionAssignor assignor) {
        try {
            Map<String, List<TopicPartition>> lists = strategy.answer(assignor);
            Set<TopicPartition> given = new HashSet<>();
            for (Member member : members)
                for (TopicPartition partition : lists.get(member.id))
                    if (!member.topics.contains(partition.topic()) || !given.add(partition))
                        throw new IllegalStateException("not wanted, or assigned twice");
            return lists;
        } catch (RuntimeException wrong) {
            unusable.merge(assignor.name() + ": " + wrong.getClass().getSimpleName(), 1, Integer::sum);
            return null;
        }
    }

    private void change(boolean alike) {
        for (int changes = random.nextInt(3); changes >= 0; changes--) {
            switch (random.nextInt(6)) {
                case 0:
                case 1:
                    join(alike);
                    break;
                case 2:
                case 3:
                    if (members.size() > 1)
                        members.remove(random.nextInt(members.size()));
                    break;
                case 4:
                    Member member = pick(members);
                    members.set(members.indexOf(member),
                        new Member(member.id, member.instance, wanted(alike)));
                    break;
                default:
                    String topic = pick(topics.keySet());
                    topics.put(topic, topics.get(topic) + random.nextInt(3));
            }
        }
    }

    private void join(boolean alike) {
        String id = String.format("%s-%016x", client(), made++);
        String instance = random.nextInt(4) == 0 ? "i" + random.nextInt(1000) + "-" + made : null;
        members.add(new Member(id, instance, wanted(alike)));
    }

    private String client() {
        switch (random.nextInt(8)) {
            case 0:
                return "c\u00e9\uff5e" + random.nextInt(9);
            case 1:
                return "c\ud83d\ude00";
            case 2:
                return "consumer-group-" + random.nextInt(20);
            default:
                return "brokerless";
        }
    }

    private Set<String> wanted(boolean alike) {
        if (alike && random.nextInt(20) > 0)
            return new TreeSet<>(topics.keySet());
        Set<String> wanted = new TreeSet<>(topics.keySet());
        wanted.removeIf(topic -> random.nextInt(3) == 0);
        if (random.nextInt(10) == 0)
            wanted.add("unknown");
        return wanted;
    }

    private String topicName() {
        return List.of("orders", "t" + random.nextInt(10), "payments.eu", "a", "z-1").get(random.nextInt(5));
    }

    private Cluster cluster() {
        List<PartitionInfo> infos = new ArrayList<>();
        topics.forEach((topic, count) -> {
            for (int partition = 0; partition < count; partition++)
                infos.add(new PartitionInfo(topic, partition, Node.noNode(), new Node[0], new Node[0]));
        });
        return new Cluster("cluster", List.of(), infos, Set.of(), Set.of());
    }

    private <T> T pick(Collection<T> all) {
        return new ArrayList<>(all).get(random.nextInt(all.size()));
    }

    /** What StickyAssignor keeps of an assignment, with the topics in order. */
    private static ByteBuffer userData(Owned owned) {
        if (owned.generation < 0 && owned.partitions.isEmpty())
            return null;
        Map<String, List<Integer>> byTopic = new LinkedHashMap<>();
        for (TopicPartition partition : owned.partitions)
            byTopic.computeIfAbsent(partition.topic(), topic -> new ArrayList<>()).add(partition.partition());
        ByteBuffer data = ByteBuffer.allocate(64 * (owned.partitions.size() + 1));
        data.putInt(byTopic.size());
        byTopic.forEach((topic, partitions) -> {
            byte[] name = topic.getBytes(StandardCharsets.UTF_8);
            data.putShort((short) name.length).put(name).putInt(partitions.size());
            partitions.forEach(data::putInt);
        });
        return data.putInt(owned.generation).flip();
    }

    private static List<TopicPartition> sorted(Collection<TopicPartition> partitions) {
        List<TopicPartition> sorted = new ArrayList<>(partitions);
        sorted.sort(Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition));
        return sorted;
    }

    private String shown(Map<String, List<TopicPartition>> lists) {
        return members.stream().map(member -> shown(lists.get(member.id)))
            .collect(Collectors.joining(";"));
    }

    private String shown(List<TopicPartition> partitions) {
        List<String> runs = new ArrayList<>();
        for (int from = 0; from < partitions.size(); ) {
            TopicPartition first = partitions.get(from);
            int to = from + 1;
            while (to < partitions.size() && partitions.get(to).topic().equals(first.topic())
                && partitions.get(to).partition() == first.partition() + to - from)
                to++;
            int last = first.partition() + to - from - 1;
            runs.add(letter(first.topic()) + first.partition() + (to - from > 1 ? "-" + last : ""));
            from = to;
        }
        return orNothing(String.join(",", runs));
    }

    private String letter(String topic) {
        int place = new ArrayList<>(topics.keySet()).indexOf(topic);
        return place < 0 ? topic : String.valueOf((char) ('a' + place));
    }

    private static String orNothing(String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }

    public static void main(String[] arguments) throws IOException {
        LogManager.getRootLogger().setLevel(Level.OFF);
        Path file = Path.of(arguments[1]);
        Path made = arguments[0].equals("write") ? file : Files.createTempFile("assignments", ".gz");
        Map<String, Integer> unusable = new TreeMap<>();
        try (PrintStream out = new PrintStream(
                new GZIPOutputStream(Files.newOutputStream(made)), false, StandardCharsets.UTF_8)) {
            for (int seed = 0; seed < GROUPS; seed++)
                new Assignments(seed, out, unusable).run();
        }
        System.out.println(GROUPS + " groups; of no use: " + unusable);
        if (!made.equals(file)) {
            compare(lines(file), lines(made));
            Files.delete(made);
        }
    }

    private static void compare(List<String> golden, List<String> now) {
        for (int line = 0; line < Math.max(golden.size(), now.size()); line++) {
            String old = line < golden.size() ? golden.get(line) : "nothing";
            String fresh = line < now.size() ? now.get(line) : "nothing";
            if (!old.equals(fresh))
                throw new IllegalStateException("line " + line + "\nwas " + old + "\nis  " + fresh);
        }
    }

    private static List<String> lines(Path file) throws IOException {
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(file)), StandardCharsets.UTF_8))) {
            return reader.lines().collect(Collectors.toList());
        }
    }
}
