namespace XPlot.Plotly

open System.Collections.Generic
open System.Runtime.CompilerServices

/// The properties of a chart's parts that were set, in the order in which they were; what was not set is left to plotly.js.
module internal PropertyBag =

    let private bags = ConditionalWeakTable<obj, OrderedDictionary<string, obj>>()

    let get<'T> (part: obj) name : 'T =
        match bags.TryGetValue part with
        | true, bag ->
            let mutable value = null

            if bag.TryGetValue(name, &value) then
                unbox<'T> value
            else
                Unchecked.defaultof<'T>
        | _ -> Unchecked.defaultof<'T>

    let set (part: obj) name (value: obj) = bags.GetOrCreateValue(part)[name] <- value

    let properties (part: obj) : seq<KeyValuePair<string, obj>> =
        match bags.TryGetValue part with
        | true, bag -> bag
        | _ -> Seq.empty
