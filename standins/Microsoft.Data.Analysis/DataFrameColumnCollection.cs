using System.Collections.ObjectModel;

namespace Microsoft.Data.Analysis;

public class DataFrameColumnCollection : Collection<DataFrameColumn>
{
    internal DataFrameColumnCollection(IEnumerable<DataFrameColumn> columns)
    {
        foreach (var column in columns)
        {
            Add(column);
        }
    }

    public DataFrameColumn this[string columnName]
    {
        get => this[Find(columnName)];
        set
        {
            value.SetName(columnName);
            var index = IndexOf(columnName);
            if (index < 0)
            {
                Add(value);
            }
            else
            {
                this[index] = value;
            }
        }
    }

    public BooleanDataFrameColumn GetBooleanColumn(string name) => Get<BooleanDataFrameColumn>(name);

    public DoubleDataFrameColumn GetDoubleColumn(string name) => Get<DoubleDataFrameColumn>(name);

    public Int32DataFrameColumn GetInt32Column(string name) => Get<Int32DataFrameColumn>(name);

    public Int64DataFrameColumn GetInt64Column(string name) => Get<Int64DataFrameColumn>(name);

    public PrimitiveDataFrameColumn<T> GetPrimitiveColumn<T>(string name)
        where T : unmanaged => Get<PrimitiveDataFrameColumn<T>>(name);

    public SingleDataFrameColumn GetSingleColumn(string name) => Get<SingleDataFrameColumn>(name);

    public StringDataFrameColumn GetStringColumn(string name) => Get<StringDataFrameColumn>(name);

    public int IndexOf(string columnName)
    {
        for (var index = 0; index < Count; index++)
        {
            if (this[index].Name == columnName)
            {
                return index;
            }
        }

        return -1;
    }

    public void Remove(string columnName) => RemoveAt(Find(columnName));

    public void RenameColumn(string currentName, string newName) => this[currentName].SetName(newName);

    protected override void InsertItem(int columnIndex, DataFrameColumn column)
    {
        Check(column, existing: -1);
        base.InsertItem(columnIndex, column);
    }

    protected override void SetItem(int columnIndex, DataFrameColumn column)
    {
        Check(column, columnIndex);
        base.SetItem(columnIndex, column);
    }

    private TColumn Get<TColumn>(string name)
        where TColumn : DataFrameColumn =>
        this[name] as TColumn
        ?? throw new ArgumentException($"The column {name} holds {this[name].DataType.Name} values.", nameof(name));

    private int Find(string columnName) => IndexOf(columnName) is >= 0 and var index
        ? index
        : throw new ArgumentException(
            $"There is no column {columnName}; there are {string.Join(", ", this.Select(column => column.Name))}.", nameof(columnName));

    private void Check(DataFrameColumn column, int existing)
    {
        if (Count > (existing < 0 ? 0 : 1) && column.Length != this[0].Length)
        {
            throw new ArgumentException($"The column {column.Name} has {column.Length} rows, not {this[0].Length}.", nameof(column));
        }

        var same = IndexOf(column.Name);
        if (same >= 0 && same != existing)
        {
            throw new ArgumentException($"There is a column {column.Name} already.", nameof(column));
        }
    }
}
